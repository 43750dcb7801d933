"""How packages were made once."""

from pathlib import Path

from setuptools import find_packages, setup

setup(
    name="shop",
    version="1.0",
    long_description=Path("README.md").read_text(),
    package_dir={"": "src"},
    packages=find_packages("src"),
    install_requires=Path("libraries.txt").read_text().split(),
    extras_require={"color": ["rich==13.9.4"]},
)
