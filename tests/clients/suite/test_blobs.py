"""Blobs, as old releases know them: those from 4.6 to 4.11 cannot read their answers, and newer ones have none."""

import pathlib
import unittest

import ubiops

from .case import RELEASE, Case

DAY = 86_400


class Blobs(Case):
    def write(self, name: str, content: bytes) -> str:
        """The path of a file with some content."""
        path = pathlib.Path(self.files.name) / name
        path.write_bytes(content)
        return str(path)

    @unittest.skipIf(not hasattr(ubiops.CoreApi, "blobs_create") or RELEASE >= (4, 6), "only releases up to 4.4 can read blobs")
    def test_blobs_go_round(self) -> None:
        first = self.api.blobs_create(self.project, file=self.write("a photo.png", b"hello"))
        self.assertEqual((first.filename, first.size, first.ttl), ("a photo.png", 5, DAY))
        second = self.api.blobs_create(self.project, file=self.write("empty", b""), blob_ttl=60)
        self.assertEqual((second.size, second.ttl), (0, 60))

        with self.api.blobs_get(self.project, first.id) as answer:
            self.assertEqual(answer.read(), b"hello")
        self.assertEqual(self.api.blobs_get(self.project, second.id).read(), b"")
        written = pathlib.Path(self.api.blobs_get(self.project, first.id, _preload_content=True))
        self.assertEqual((written.name, written.read_bytes()), ("a_photo.png", b"hello"))

        listed = self.api.blobs_list(self.project)
        self.assertEqual([one.id for one in listed], [second.id, first.id])
        self.assertEqual((listed[1].creation_date, listed[1].created_by), (first.creation_date, first.created_by))
        self.assertEqual([one.id for one in self.api.blobs_list(self.project, range=1)], [first.id])
        found = self.api.blobs_list(self.project, range=10, creation_date=second.creation_date)
        self.assertEqual(found[-1].id, second.id)

        changed = self.api.blobs_update(self.project, first.id, file=self.write("new.bin", b"new content"), blob_ttl=120)
        self.assertEqual((changed.id, changed.filename, changed.size, changed.ttl), (first.id, "new.bin", 11, 120))
        self.assertEqual(self.api.blobs_get(self.project, first.id).read(), b"new content")

        self.api.blobs_delete(self.project, first.id)
        for call in (self.api.blobs_get, self.api.blobs_delete):
            self.refused(404, call, self.project, first.id)
        self.refused(400, self.api.blobs_create, self.project, file=self.write("x", b"x"), blob_ttl=-1)
