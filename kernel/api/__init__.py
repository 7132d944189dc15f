"""What users ask a kernel for, one area a module: each a base of `Kernel`, all of it commands and readings."""
