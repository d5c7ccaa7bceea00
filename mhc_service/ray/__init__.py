"""The engine of a cluster: workers are actors of Ray.

    server: engine, bridge_process, ray_worker  <- socket ->  bridge process: bridge, slot, shapes  <- Ray ->  actor

Ray's driver ends its process where it loses the head of the cluster, and takes over signals. It therefore lives in the
bridge, a process of its own that may die: the server fails what was under way, and starts another bridge.
"""
