"""The background manager: republishes the bundle when the machine's trust changes, refreshes on schedule.

One process watches, and does next to nothing: `service` is its loop, `watching` and `places` say what changed,
`schedule` says when what is due, `sd_notify`, `journal` and `state` tell the supervisor, the log and `status`. What
is to be done is done by a child (`job` starts it, `work` is what runs there): it can be abandoned at any moment, and
takes its memory with it. Events are hints only: what is done is decided by a look at the files.
"""
