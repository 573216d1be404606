"""The headline by other methods: bootstraps, Tobit, Theil-Sen, power."""
