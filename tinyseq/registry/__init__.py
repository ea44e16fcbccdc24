"""Plugins by name, components as configurations, models as files."""

from tinyseq.registry.catalogue import Registry as Registry
from tinyseq.registry.catalogue import entry_of as entry_of
from tinyseq.registry.catalogue import refresh as refresh
from tinyseq.registry.catalogue import register as register
from tinyseq.registry.catalogue import registries as registries
from tinyseq.registry.entry import Record as Record

cells = registries["cell"]
layers = registries["layer"]
losses = registries["loss"]
heads = registries["head"]
models = registries["model"]
metrics = registries["metric"]
optimizers = registries["optimizer"]
initializers = registries["initializer"]
recipes = registries["recipe"]
emitters = registries["emitter"]
