"""The background manager: republishes the bundle when the machine's trust changes, refreshes on schedule.

One process watches, and does next to nothing: `service` is its loop over the `tasks`, `watching` and `places` say
what changed, and `sd_notify`, `journal` and `state` tell the supervisor, the log and `aia-store status`. A child does
the work (`job` starts it, `work` is what runs there): it can be abandoned at any moment, and takes its memory with it.
Events are hints only: a look at the files decides what is done.
"""
