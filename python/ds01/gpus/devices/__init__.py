"""The devices of the host: inventory, health, links, as NVML tells them."""
