"""The analytical floor: append-only facts as Delta tables, and the engines that read them."""
