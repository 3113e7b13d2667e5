"""What people use in Jupyter and in tests: captures and policies as objects that answer with tables which show themselves."""
