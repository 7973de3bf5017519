"""Rules, shared backends and the front door of Darkroom; never imports `workers`."""
