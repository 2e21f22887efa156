"""The contenders. Each file here defines one or two subclasses of `Peer`; a new file is found without being listed."""

import importlib
import importlib.util
import pkgutil

from benchmarks.peers.base import Peer


def all_peers() -> dict[str, type[Peer]]:
    """Every peer by name, in the order of the tables; no peer's library is imported by this."""
    found = {}
    for module in pkgutil.iter_modules(__path__):
        for value in vars(importlib.import_module(f"{__name__}.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, Peer) and "name" in vars(value):
                found[value.name] = value
    return dict(sorted(found.items(), key=lambda item: (item[1].rank, item[0])))


def installed(peer: type[Peer]) -> bool:
    """Whether the library that the peer needs can be imported."""
    return importlib.util.find_spec(peer.requires) is not None
