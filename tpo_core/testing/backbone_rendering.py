"""Tests of rendering and of task tokens."""

from __future__ import annotations

import copy
import pickle
from typing import Any, get_args

import pytest
import torch

from tpo_core.backbone import BackboneAdapter, RenderedRecord
from tpo_core.errors import InputError
from tpo_core.records.schema import Message
from tpo_core.testing.backbone_case import BackboneCase
from tpo_core.testing.backbone_samples import (
    TASK_TOKENS,
    MediaName,
    conversations,
    embedding_tables,
    sample_media,
)


class RenderingTests(BackboneCase):
    """Labels, prefixes, prompts, special and task tokens."""

    @pytest.mark.parametrize("name", get_args(MediaName))
    def test_labels_are_answers(
        self, ready: BackboneAdapter, records: dict[str, RenderedRecord], name: str
    ) -> None:
        """What the assistant said is supervised, and nothing else."""
        if name not in records:
            pytest.skip(f"the backbone takes no {name}")
        for chat, branch in zip(
            conversations(several=self.several_turns), records[name].branches, strict=True
        ):
            assert branch.ids.dtype == torch.long
            assert branch.ids.shape == branch.supervised.shape
            said = ready.renderer.decode(branch.ids[branch.supervised].tolist())
            answers = [m.content for m in chat if m.role == "assistant"]
            assert said.replace(" ", "") == "".join(answers).replace(" ", "")
            asked = ready.renderer.decode(branch.ids[~branch.supervised].tolist())
            for message in chat:
                assert (message.content in asked) == (message.role == "user")

    @pytest.mark.parametrize("name", get_args(MediaName))
    def test_answers_end_with_a_stop_token(
        self, ready: BackboneAdapter, records: dict[str, RenderedRecord], name: str
    ) -> None:
        """The last supervised token is one that ends an answer, so that models learn to stop."""
        if name not in records:
            pytest.skip(f"the backbone takes no {name}")
        assert ready.renderer.stop_ids
        for branch in records[name].branches:
            assert int(branch.ids[branch.supervised][-1]) in ready.renderer.stop_ids

    @pytest.mark.parametrize("name", get_args(MediaName))
    def test_prefix_and_branch_equal_the_whole(
        self, ready: BackboneAdapter, records: dict[str, RenderedRecord], name: MediaName
    ) -> None:
        """Tokenising in parts gives the ids the backbone's processor gives for the whole."""
        if name not in records:
            pytest.skip(f"the backbone takes no {name}")
        for chat, branch in zip(
            conversations(several=self.several_turns), records[name].branches, strict=True
        ):
            whole = self.whole_ids(ready, name, chat)
            if whole is None:
                pytest.skip("the backbone has no processor to compare with")
            parts = torch.cat([records[name].prefix_ids, branch.ids])
            if parts.tolist() == whole.tolist():
                continue
            # An end that the template leaves out is added, so that models learn to stop; it takes
            # the place of blanks behind the answer.
            assert int(parts[-1]) in ready.renderer.stop_ids
            common = len(parts) - 1
            assert parts[:common].tolist() == whole[:common].tolist()
            assert not ready.renderer.decode(whole[common:].tolist()).strip()

    def test_text_has_no_prefix(self, records: dict[str, RenderedRecord]) -> None:
        """Conversations about nothing share nothing."""
        assert len(records["text"].prefix_ids) == 0
        assert not records["text"].inputs

    @pytest.mark.parametrize("name", get_args(MediaName))
    def test_prompt_is_the_beginning_of_the_conversation(
        self, ready: BackboneAdapter, records: dict[str, RenderedRecord], name: MediaName
    ) -> None:
        """What is asked when generating is what stood before the answer in training."""
        if name not in records:
            pytest.skip(f"the backbone takes no {name}")
        chats = [chat[:1] for chat in conversations(several=False)]
        prompts = ready.renderer.render(sample_media(name), chats, generate=True)
        assert prompts.prefix_ids.equal(records[name].prefix_ids)
        for prompt, branch in zip(prompts.branches, records[name].branches, strict=False):
            start = int(branch.supervised.nonzero()[0])
            assert prompt.ids.tolist() == branch.ids[:start].tolist()
            assert not prompt.supervised.any()

    @pytest.mark.parametrize("name", get_args(MediaName))
    def test_an_answer_can_be_begun(
        self, ready: BackboneAdapter, records: dict[str, RenderedRecord], name: MediaName
    ) -> None:
        """A last assistant turn is left open when generating: as in training, but not ended."""
        if name not in records:
            pytest.skip(f"the backbone takes no {name}")
        chats = conversations(several=False)
        begun = ready.renderer.render(sample_media(name), chats, generate=True)
        for chat, prompt, branch in zip(
            chats, begun.branches, records[name].branches, strict=False
        ):
            length = len(prompt.ids)
            assert prompt.ids.tolist() == branch.ids[:length].tolist()
            assert prompt.supervised.tolist() == branch.supervised[:length].tolist()
            said = ready.renderer.decode(prompt.ids[prompt.supervised].tolist())
            assert said.replace(" ", "") == chat[-1].content.replace(" ", "")
            assert int(prompt.ids[-1]) not in ready.renderer.stop_ids

    def test_renderer_can_be_pickled(
        self, ready: BackboneAdapter, records: dict[str, RenderedRecord]
    ) -> None:
        """Data loaders send it to their workers."""
        name = self.media[0]
        twin = pickle.loads(pickle.dumps(ready.renderer))
        again = twin.render(sample_media(name), conversations(several=self.several_turns))
        for one, other in zip(again.branches, records[name].branches, strict=True):
            assert one.ids.equal(other.ids)
            assert one.supervised.equal(other.supervised)

    def test_refuses_special_tokens_in_text(self, ready: BackboneAdapter) -> None:
        """A text cannot smuggle in a placeholder or an end of turn."""
        processor: Any = getattr(ready, "processor", None)
        if processor is None:
            pytest.skip("the backbone has no processor to ask for its special tokens")
        for token in ready.renderer.stop_ids:
            text = processor.tokenizer.convert_ids_to_tokens(token)
            with pytest.raises(InputError, match="special token"):
                ready.renderer.render(None, [[Message(role="user", content=f"a {text} b")]])

    # ---- task tokens

    def test_task_tokens_are_single_ordinary_tokens(
        self, ready: BackboneAdapter, records: dict[str, RenderedRecord]
    ) -> None:
        """They are found inside words, decoded back, and adding them again changes nothing."""
        ids = ready.add_tokens(TASK_TOKENS)
        assert ids == ready.add_tokens(TASK_TOKENS)
        assert len(set(ids)) == len(TASK_TOKENS)
        chat = [[Message(role="user", content=f"a{''.join(TASK_TOKENS)}b")]]
        rendered = ready.renderer.render(None, chat).branches[0].ids.tolist()
        assert [token for token in rendered if token in ids] == list(ids)
        assert "".join(TASK_TOKENS) in ready.renderer.decode(rendered)

    def test_new_rows_are_the_mean_of_the_old(self, backbone: BackboneAdapter) -> None:
        """New input and output rows start as the mean of the rows in use; others stay."""
        twin = copy.deepcopy(backbone)
        before = [table.clone() for table in embedding_tables(twin.model)]
        ids = list(twin.add_tokens(TASK_TOKENS))
        known = min(ids)
        for old, new in zip(before, embedding_tables(twin.model), strict=True):
            mean = old[:known].float().mean(0)
            assert torch.equal(new[ids], mean.to(new.dtype).expand(len(ids), -1))
            assert torch.equal(new[:known], old[:known])
