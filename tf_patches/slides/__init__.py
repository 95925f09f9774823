"""Slides: images larger than memory, such as those of pathology."""

from tf_patches.slides.dense import predict
from tf_patches.slides.export import overlay, to_geojson
from tf_patches.slides.heat_map import HeatMap, score
from tf_patches.slides.slide import Slide
from tf_patches.slides.slide import open_slide as open

__all__ = [
    "HeatMap",
    "Slide",
    "open",
    "overlay",
    "predict",
    "score",
    "to_geojson",
]
