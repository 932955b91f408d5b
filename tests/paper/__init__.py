"""The paper's tasks (arXiv 2512.24601, section 3), made from a seed: exact answers, any size."""
