"""What can be seen to be wrong with a pack before any job runs: the parts of `runtime.lint_pack`. Pure."""
