"""Without labels: an encoder, a bottleneck, a decoder, and what they are good for. Depends on nets, training, model, look, reuse.

    coder = build("convolutional", size=28, channels=1, latents=16)
    coder.fit(images)
    coder.encode(images), coder.reconstruct(images)
    walk(coder, images).plot()                                  # through the space of codes
    detector(normal).strange(others)                            # what does not belong
    synthesise(variational, 100).plot()                         # new images
    denoise(photo), inpaint(photo, mask)                        # by weights that ship
    decompress(compress(photo, quality=50))
"""

from hubel.autoencode.anomalies import Anomalies, Detector, anomalies, detector
from hubel.autoencode.autoencoder import Autoencoder, build, load
from hubel.autoencode.bottleneck import Bottleneck, BottleneckWarning, bottleneck, which_narrows
from hubel.autoencode.by_size import BySize, error_by_size
from hubel.autoencode.clusters import clusters
from hubel.autoencode.codec import compress, decompress
from hubel.autoencode.left_out import LeftOut, auroc, leave_one_out
from hubel.autoencode.pictures import Reconstructions, Walk, reconstructions, walk
from hubel.autoencode.probe import FeatureTable, probe
from hubel.autoencode.restore import denoise, inpaint
from hubel.autoencode.scenes import digit_scenes
from hubel.autoencode.segment import Segmentation, fit_masks, iou, segmentation, segmenter, segments
from hubel.autoencode.synthesise import Quality, Synthesised, frechet, quality, synthesise

__all__ = [
    "Anomalies", "Autoencoder", "Bottleneck", "BottleneckWarning", "BySize", "Detector", "FeatureTable", "LeftOut", "Quality",
    "Reconstructions", "Segmentation", "Synthesised", "Walk", "anomalies", "auroc", "bottleneck", "build", "clusters",
    "compress", "decompress", "denoise", "detector", "digit_scenes", "error_by_size", "fit_masks", "frechet", "inpaint", "iou",
    "leave_one_out", "load", "probe", "quality",
    "reconstructions", "segmentation", "segmenter", "segments", "synthesise", "walk", "which_narrows",
]
