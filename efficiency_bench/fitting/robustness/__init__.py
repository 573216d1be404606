"""The headline by other methods: bootstraps, Theil-Sen, power."""
