"""The demo home's devices, each as if from a different vendor: ordinary modules over one home's physics."""
