"""The ways to embed images, one module for each; those that use torch or a runtime load it."""
