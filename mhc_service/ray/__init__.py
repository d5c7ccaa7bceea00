"""Compute on a cluster: an engine whose workers are actors of Ray.

    server: engine, bridge_process, ray_worker  <- socket ->  bridge process: bridge, slot, shapes  <- Ray ->  actor

Ray's driver ends its process if it loses the head of the cluster, and handles signals itself. It therefore runs in a
separate process, the bridge. If the bridge dies, the server ends its running jobs as failed, and starts a new bridge.
"""
