"""Others that answer the same operations, each as a good team would write it: what is compared."""
