"""A backbone with task heads: one forward pass for mixed packed batches.

Shapes: L tokens of the packed row, N slots of one head, D hidden size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tpo_core.backbone import VISUAL_GROUPS, BackboneAdapter, RenderedRecord, TokenEmbeddings
from tpo_core.batch import LM_TERM, Batch, Collator, SlotBatch
from tpo_core.errors import InputError
from tpo_core.feature_cache import FeatureCache
from tpo_core.head import HeadContext, TaskHead
from tpo_core.lora import LoraSettings
from tpo_core.media.types import Media
from tpo_core.results import Result
from tpo_core.vocabulary import Vocabulary

if TYPE_CHECKING:
    from peft import PeftModel

    from tpo_core.inference import Answer, Question


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """What a model was made of: enough to build it again before its weights are loaded.

    Args:
        backbone: Registered name, path or hub id of the backbone.
        heads: Options of each head, by registered name.
        lora: LoRA settings, or None for trainable token rows alone.
    """

    backbone: str
    heads: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    lora: LoraSettings | None = None


class TpoModel(nn.Module):
    """A backbone and its task heads.

    Args:
        backbone: The adapter; its tokens must already hold the heads' tokens.
        heads: Heads by registered name.
        vocabulary: The heads' task tokens and their ids.
        peft: PEFT's wrapper around `backbone.model`, used to save, load and merge; not a submodule,
            since its layers already are part of the backbone.
        origin: What the model was made of.

    Attributes:
        trained_groups: Groups of the backbone's own weights (`vision`, `connector`, `llm`) that
            were trained, and so differ from the checkpoint the backbone came from.
        trainable_in_head: For each head, its parameters that training may change.
        num_frames: Frames of a video it was trained on, and looks at unless told otherwise.
    """

    def __init__(
        self,
        backbone: BackboneAdapter,
        heads: Mapping[str, TaskHead],
        *,
        vocabulary: Vocabulary,
        peft: PeftModel | None,
        origin: Origin,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.heads = nn.ModuleDict(dict(heads))
        self.vocabulary = vocabulary
        self.origin = origin
        self._peft = [peft] if peft is not None else []
        self.trained_groups: set[str] = set()
        self.num_frames = 16
        self._features: FeatureCache | None = None
        self.trainable_in_head = {
            name: frozenset(n for n, p in head.named_parameters() if p.requires_grad)
            for name, head in heads.items()
        }

    @property
    def peft(self) -> PeftModel | None:
        """PEFT's wrapper of the backbone's model, or None once merged."""
        return self._peft[0] if self._peft else None

    @property
    def is_merged(self) -> bool:
        """Whether LoRA and token rows were folded into the backbone's weights."""
        has_something = self.origin.lora is not None or bool(self.vocabulary.trained_ids)
        return self.peft is None and has_something

    @property
    def head_by_task(self) -> dict[str, TaskHead]:
        """The head that serves each task."""
        return {
            token.task: head
            for head in self.heads.values()
            if isinstance(head, TaskHead)
            for token in head.tokens
        }

    @property
    def device(self) -> torch.device:
        """Where the backbone lives."""
        return next(self.backbone.model.parameters()).device

    def collator(self, silent: Iterable[str] = ()) -> Collator:
        """Return the function that packs samples for `forward`.

        Args:
            silent: Tasks whose slots stay in the text but are not fed to their heads.
        """
        return Collator(
            self.backbone.renderer, self.vocabulary, self.head_by_task, frozenset(silent)
        )

    def loss_weights(self) -> dict[str, float]:
        """Return the weight that each head gives its own loss terms."""
        weights = {LM_TERM: 1.0}
        for task, head in self.head_by_task.items():
            weights |= {f"{task}/{term}": weight for term, weight in head.loss_weights.items()}
        return weights

    def forward(self, batch: Batch, touch: Sequence[str] = ()) -> dict[str, Tensor]:
        """Run one packed batch and return the sum of every loss term in it.

        Heads without a slot in the batch are not run.

        Args:
            batch: From `collator`, on this model's device.
            touch: Tasks whose heads, and `lm` or `media` for the backbone's parts, must get at
                least a zero gradient although this batch may not use them; other ranks do.

        Returns:
            Scalar sums by term, `lm` and `<task>/<term>`; divide each by the global number of its
            items, of which `batch.counts` is this batch's part. With `touch` also `zero`, a 0.
        """
        sums: dict[str, Tensor] = {}
        if zero := [p.view(-1)[0].float() * 0.0 for p in self._touched(touch)]:
            sums["zero"] = torch.stack(zero).sum()
        if not batch.packed.records:
            return sums
        visual = self.encode(batch.packed.records)
        embeddings = self.prompt_embeddings(batch.prompts, batch.prompt_ids)
        states = self.backbone(batch.packed, visual, embeddings)
        if len(batch.label_ids):
            logits = self.backbone.logits(states[batch.label_positions])
            sums[LM_TERM] = F.cross_entropy(logits.float(), batch.label_ids, reduction="sum")
        heads = self.head_by_task
        for task, slots in batch.slots.items():
            outputs, _ = self.run_head(heads[task], states, slots, batch.packed.records, visual)
            with torch.autocast(states.device.type, enabled=False):
                terms = heads[task].loss(outputs, slots.targets)
            for term, (total, count) in terms.items():
                name = f"{task}/{term}"
                assert count == batch.counts[name], f"{name}: {count} of {batch.counts[name]} items"
                sums[name] = total
        return sums

    def cache_features(self, limit: int) -> None:
        """Keep visual features while the vision tower and connector are frozen.

        Args:
            limit: Bytes to hold at most; 0 keeps none.
        """
        self._features = FeatureCache(limit) if limit else None

    def encode(self, records: Sequence[RenderedRecord]) -> list[Any]:
        """Run vision tower and connector, or take what they gave before."""
        if self._features is None:
            return self.backbone.encode(records)
        if self.backbone.trains_visual():
            self._features.clear()
            return self.backbone.encode(records)
        return self._features.encode(records, self.backbone.encode)

    def _touched(self, touch: Sequence[str]) -> list[nn.Parameter]:
        heads = self.head_by_task
        modules: dict[int, nn.Module] = {id(heads[t]): heads[t] for t in touch if t in heads}
        found = [p for module in modules.values() for p in module.parameters()]
        if "media" in touch or LM_TERM in touch:
            visual = {
                id(parameter)
                for group in VISUAL_GROUPS
                for parameter in self.backbone.parameter_group(group).values()
            }
            for parameter in self.backbone.model.parameters():
                if ("media" if id(parameter) in visual else LM_TERM) in touch:
                    found.append(parameter)
        return [parameter for parameter in found if parameter.requires_grad]

    def prompt_embeddings(
        self, prompts: Sequence[tuple[str, Any]], prompt_ids: Tensor
    ) -> TokenEmbeddings | None:
        """Let the heads embed prompts, in order; None if there is none."""
        if not prompts:
            return None
        heads = self.head_by_task
        values: list[Tensor | None] = [None] * len(prompts)
        for task in dict.fromkeys(task for task, _ in prompts):
            at = [i for i, (of, _) in enumerate(prompts) if of == task]
            rows = heads[task].encode_prompts([prompts[i][1] for i in at])
            for i, row in zip(at, rows.unbind(), strict=True):
                values[i] = row
        stacked = torch.stack([value for value in values if value is not None])
        return TokenEmbeddings(token_ids=prompt_ids, values=stacked)

    def run_head(
        self,
        head: TaskHead,
        states: Tensor,
        slots: SlotBatch,
        records: Sequence[RenderedRecord],
        visual: Sequence[Any],
    ) -> tuple[Any, HeadContext]:
        """Feed a head the states of its slots.

        Args:
            head: The head.
            states: `[L, D]`, last hidden states of the row.
            slots: Where its N slots stand and what they are about.
            records: The records of the row.
            visual: What the backbone's `encode` returned for them.
        """
        at = slots.positions - (1 if head.state == "trigger" else 0)
        return self.run_head_on(head, states[at], slots, records, visual)

    def run_head_on(
        self,
        head: TaskHead,
        states: Tensor,
        slots: SlotBatch,
        records: Sequence[RenderedRecord],
        visual: Sequence[Any],
    ) -> tuple[Any, HeadContext]:
        """Feed a head `[N, D]` states that were already picked."""
        asked, index = torch.unique(slots.record, return_inverse=True)
        numbers = asked.tolist()
        media: list[Media] = []
        for number in numbers:
            item = records[number].media
            if item is None:
                raise InputError(
                    f"{type(head).__name__} was asked about a conversation without media; give the "
                    "record a picture or video, or remove the slot"
                )
            media.append(item)
        wants = "frame_features" in head.needs
        context = HeadContext(
            media=tuple(media),
            media_index=index,
            features=tuple(
                self.backbone.frame_features(records[n], visual[n]) for n in numbers if wants
            ),
            prompts=slots.prompts,
            questions=slots.questions,
        )
        with torch.autocast(states.device.type, enabled=False):  # coordinates need fp32
            return head(states.to(head.parameter_dtype()), context), context

    def decode_head(
        self,
        head: TaskHead,
        states: Tensor,
        slots: SlotBatch,
        records: Sequence[RenderedRecord],
        visual: Sequence[Any],
    ) -> list[Result]:
        """Return the typed result of each slot, from states `[N, D]`."""
        outputs, context = self.run_head_on(head, states, slots, records, visual)
        return head.decode(outputs, context)

    def predict(self, media: Any, question: str, **options: Any) -> Answer:
        """Answer one question about a path, PIL image, tensor or list of frames.

        See `tpo_core.inference.predict` for the options.
        """
        from tpo_core.inference import predict

        return predict(self, media, question, **options)

    def predict_batch(self, questions: Iterable[Question | Any], **options: Any) -> list[Answer]:
        """Answer many questions; those about one media item share its encoded prefix.

        See `tpo_core.inference.predict_batch` for the options.
        """
        from tpo_core.inference import predict_batch

        return predict_batch(self, questions, **options)

    def save_pretrained(self, folder: str, *, include_backbone: bool | None = None) -> None:
        """Write config, adapter, heads, tokenizer and a model card; see `tpo_core.saving`."""
        from tpo_core.saving import save

        save(self, folder, include_backbone=include_backbone)

    def push_to_hub(self, repo: str, **options: Any) -> str:
        """Upload what `save_pretrained` writes; returns the repository's address."""
        from tpo_core.saving import push

        return push(self, repo, **options)

    def merge(self) -> TpoModel:
        """Fold LoRA and token rows into the backbone's weights, in place."""
        if self.peft is not None:
            self.backbone.model = self.peft.merge_and_unload()
            self._peft.clear()
        return self
