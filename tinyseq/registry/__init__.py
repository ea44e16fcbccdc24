"""Plugins by name, components as configurations, models as files."""

from tinyseq.nn import init
from tinyseq.registry.assembly import Mistake as Mistake
from tinyseq.registry.assembly import build as build
from tinyseq.registry.assembly import check as check
from tinyseq.registry.catalogue import Registry as Registry
from tinyseq.registry.catalogue import entry_of as entry_of
from tinyseq.registry.catalogue import problems as problems
from tinyseq.registry.catalogue import refresh as refresh
from tinyseq.registry.catalogue import register as register
from tinyseq.registry.catalogue import registries as registries
from tinyseq.registry.configuration import config as config
from tinyseq.registry.entry import Record as Record
from tinyseq.registry.model_file import Description as Description
from tinyseq.registry.model_file import describe as describe
from tinyseq.registry.model_file import load as load
from tinyseq.registry.model_file import save as save

cells = registries["cell"]
wrappers = registries["wrapper"]
layers = registries["layer"]
losses = registries["loss"]
heads = registries["head"]
models = registries["model"]
metrics = registries["metric"]
optimizers = registries["optimizer"]
initializers = registries["initializer"]
init.registered["plugins"] = initializers
recipes = registries["recipe"]
emitters = registries["emitter"]
