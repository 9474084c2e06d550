"""The words of which masked addresses are made: short, plain, hard to mishear, and nobody's name or trade."""

from __future__ import annotations

from typing import Final

_WORDS: Final = """
acorn amber anchor apple apron arch aspen aster autumn bamboo barley basil basket beacon berry birch bison
blanket blossom border bottle bramble breeze brick bridge bright bronze brook bucket butter button cabin cactus
camel candle canoe canyon carbon cedar chalk cherry chestnut cider cinder citrus clover cobalt comet copper
coral cotton cricket crimson crocus curtain daisy dapple delta desert dolphin dragonfly drift dune dusk eagle
early ember emerald evening falcon fallow feather fennel fern fiddle fig finch flannel flint flute foam forest
fossil fountain frost gable garden garnet gentle geyser ginger glacier glade glide golden granite grape grass
gravel grove gully hammock harbor harvest hazel heather heron hickory hollow honey horizon humble indigo inlet
island ivory ivy jasmine jetty jigsaw juniper kayak kelp kettle kindle kite lagoon lantern larch lark laurel
lavender leaf ledge lemon lentil lichen lilac lily linen little lively lotus lupin magnet mango maple marble
marigold marina market marsh meadow mellow melon meteor mild mint mirror misty morning mosaic moss mountain
mulberry muslin nectar nettle nimble north nutmeg oasis oat ocean olive onyx opal orchard orchid otter oyster
paddle palm panda paper parsley pasture peach pebble pelican pepper petal pigeon pillow pine plain plaster plum
pocket pond poplar poppy prairie pumpkin quartz quiet quilt quince rabbit rain raven reed ribbon river robin
rocket rosemary round russet saddle saffron sage sail salmon sandal sapling satin seal shell silent silver
sketch slate slow smooth snow soft sorrel sparrow spring spruce steady stone stream summer sunny swallow swift
tangerine teal tender thicket thistle thyme timber tulip tundra turnip valley velvet violet walnut warm water
wheat willow window winter wren yellow zephyr zinnia
"""
WORDS: Final = tuple(_WORDS.split())
