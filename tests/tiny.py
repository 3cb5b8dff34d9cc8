"""Small models of each family, made from a config in a moment, as folders in Hugging Face layout.

Their weights are random and their tokenizers are trained on the spot, so that no test needs a hub.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from tunesmith.bases import load_tokenizer, tokenize
from tunesmith.training import Rows

WORDS = (
    "my card has not arrived yet and i want the money back please where is the parcel it was due "
    "on monday the screen stays black after the update how do i change the password thank you "
    "cancel the subscription invoice charged twice delivery refund broken help account login"
)
TEXTS = [WORDS, "你好世界 我的包裹在哪里", "où est mon colis", "0123456789 .,!?'\"-"] * 4

TOPICS = {
    "login": "login password account change update screen",
    "money": "card money invoice charged twice refund",
    "parcel": "parcel delivery arrived monday due where",
}
"""Topic → the words that tell it."""
_FILLER = sorted(set(WORDS.split()) - set(" ".join(TOPICS.values()).split()))

TINY_SETTINGS: dict[str, Any] = {
    "training.epochs": 1,
    "training.batch_size": 16,
    "training.method": "full",
    "training.refit": "never",
    "training.precision": "fp32",
    "training.threads": 1,
    "evaluation.resamples": 100,
}
"""Settings of a run that takes a second."""

_SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 66,
}

# family → its config class, what differs from `_SMALL`, and the kind of its tokenizer
FAMILIES: dict[str, tuple[str, dict[str, Any], str]] = {
    "bert": ("BertConfig", _SMALL, "wordpiece"),
    "roberta": ("RobertaConfig", {**_SMALL, "pad_token_id": 1}, "bytes"),
    "distilbert": (
        "DistilBertConfig",
        {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, "max_position_embeddings": 64},
        "wordpiece",
    ),
    "deberta-v2": (
        "DebertaV2Config",
        {**_SMALL, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
        "unigram",
    ),
    "electra": ("ElectraConfig", {**_SMALL, "embedding_size": 16}, "wordpiece"),
    "modernbert": (
        "ModernBertConfig",
        {**_SMALL, "global_attn_every_n_layers": 2, "pad_token_id": 0},
        "bytes",
    ),
    "xlm-roberta": ("XLMRobertaConfig", {**_SMALL, "pad_token_id": 1}, "unigram"),
    "gpt2": ("GPT2Config", {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64}, "bytes"),
    "llama": ("LlamaConfig", {**_SMALL, "num_key_value_heads": 1}, "bytes"),
    "qwen2": ("Qwen2Config", {**_SMALL, "num_key_value_heads": 1}, "bytes"),
    "mamba": ("MambaConfig", {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 4}, "bytes"),
    "t5": (
        "T5Config",
        {"d_model": 32, "d_ff": 64, "d_kv": 16, "num_layers": 2, "num_heads": 2,
         "decoder_start_token_id": 0},
        "unigram",
    ),
}  # fmt: skip


def labelled_rows(num_rows: int, seed: int = 0) -> list[tuple[str, str]]:
    """Different texts, each with the topic that three of its words are of, in equal shares."""
    generator = np.random.default_rng(seed)
    rows: dict[str, str] = {}
    while len(rows) < num_rows:
        topic = list(TOPICS)[len(rows) % len(TOPICS)]
        filler = generator.choice(_FILLER, generator.integers(2, 9))
        words = [*generator.choice(TOPICS[topic].split(), 3), *filler]
        rows.setdefault(" ".join(generator.permutation(words)), topic)
    return list(rows.items())


def tiny_rows(base: Path, num_rows: int, seed: int) -> Rows:
    """`labelled_rows` as training takes them: token ids, and topics as numbers."""
    labelled = labelled_rows(num_rows, seed)
    tokens = tokenize(load_tokenizer(base), [(text,) for text, _ in labelled], 64)
    return Rows(tokens, np.array([list(TOPICS).index(topic) for _, topic in labelled]))


def tiny_model(folder: Path, family: str = "bert", seed: int = 0) -> Path:
    """Writes a small model of `family` into `folder`; returns the folder."""
    name, values, kind = FAMILIES[family]
    tokenizer = tiny_tokenizer(kind)
    torch.manual_seed(seed)
    special = {
        key: getattr(tokenizer, key) for key in ("pad_token_id", "bos_token_id", "eos_token_id")
    }
    config = getattr(transformers, name)(
        **{**values, **{k: v for k, v in special.items() if v is not None}},
        vocab_size=len(tokenizer),
    )
    model = transformers.AutoModel.from_config(config)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    return folder


def tiny_tokenizer(kind: str) -> Any:
    """A tokenizer of some hundred tokens: "wordpiece", "bytes" (byte-level BPE) or "unigram"."""
    if kind == "wordpiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer()
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
        trainer = trainers.WordPieceTrainer(special_tokens=special, show_progress=False)
        tokenizer.train_from_iterator([WORDS], trainer)
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B:1 [SEP]:1",
            special_tokens=[(name, special.index(name)) for name in ("[CLS]", "[SEP]")],
        )
        return PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
            sep_token="[SEP]", model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        )  # fmt: skip
    if kind == "bytes":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=["<|endoftext|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator(TEXTS, trainer)
        return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>")
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=200,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        unk_token="<unk>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", pad_token="<pad>", eos_token="</s>",
        unk_token="<unk>",
    )  # fmt: skip
