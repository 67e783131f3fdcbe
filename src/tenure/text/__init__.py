"""What do customers write, and why do they say they leave? Texts in, labels out; nothing is stored or downloaded.

Taxonomy            the causes and reasons, with phrases in each language; a file that anyone can extend
ReasonClassifier    which reason a text names, how sure that is, or "can't tell"; learns from corrections
Sentiment           whether a text is pleased, displeased, neither, or a question
topics              what texts are about beside the taxonomy, named by their typical words, with their trend
language_of         English, Thai or another language
cleaned             the part of a text that counts
TextClassifier      the same reading for labels of one's own
"""

from __future__ import annotations

from tenure.text.cleaning import cleaned
from tenure.text.languages import language_of
from tenure.text.linear import TextClassifier
from tenure.text.reasons import Label, Reading, ReasonClassifier
from tenure.text.sentiment import Sentiment
from tenure.text.taxonomy import Taxonomy, vendor_codes
from tenure.text.topics import Topic, Topics, topics

__all__ = [
    "Label",
    "Reading",
    "ReasonClassifier",
    "Sentiment",
    "Taxonomy",
    "TextClassifier",
    "Topic",
    "Topics",
    "cleaned",
    "language_of",
    "topics",
    "vendor_codes",
]
