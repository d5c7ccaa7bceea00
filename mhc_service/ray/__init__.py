"""Compute on a cluster: workers are actors of Ray.

    server: engine, bridge_process, ray_worker  <- socket ->  bridge process: bridge, slot, shapes  <- Ray ->  actor

Ray's driver ends its process if it loses the head of the cluster, and handles signals itself. It therefore runs in
the bridge, a separate process that may die: the server fails its running jobs, and starts another bridge.
"""
