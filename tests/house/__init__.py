"""House rules: the rules that every file of the repository keeps, each shown a breach that it finds.

- test_rules: lengths, docstrings, module names (source), the pure core (purity), names at the top, addresses (tree)
- test_imports: the import contracts
- test_immutable: values of the core can't be changed
- test_locks: dependencies are pinned with hashes (locks)
- test_readme: the generated parts of README.md are up to date (readme)
"""
