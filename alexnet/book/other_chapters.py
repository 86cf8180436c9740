"""The names of the book's library that belong to chapters that this library does not cover."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

CHAPTERS = {
    "linear regression": "linreg load_array squared_loss synthetic_data",
    "model selection and Kaggle house prices": """
        DATA_HUB DATA_URL download download_all download_extract evaluate_loss""",
    "recurrent neural networks": """
        RNNModel RNNModelScratch SeqDataLoader Vocab count_corpus grad_clipping
        load_corpus_time_machine load_data_time_machine predict_ch8 read_time_machine
        seq_data_iter_random seq_data_iter_sequential tokenize train_ch8 train_epoch_ch8""",
    "modern recurrent neural networks": """
        Decoder Encoder EncoderDecoder MaskedSoftmaxCELoss Seq2SeqEncoder bleu build_array_nmt
        load_data_nmt predict_seq2seq preprocess_nmt read_data_nmt sequence_mask
        show_list_len_pair_hist tokenize_nmt train_seq2seq truncate_pad""",
    "attention mechanisms": """
        AddNorm AdditiveAttention AttentionDecoder DotProductAttention EncoderBlock
        MultiHeadAttention PositionWiseFFN PositionalEncoding TransformerEncoder masked_softmax
        show_heatmaps transpose_output transpose_qkv""",
    "optimization algorithms": """
        annotate get_data_ch11 show_trace_2d train_2d train_ch11 train_concise_ch11""",
    "computational performance": "Benchmark evaluate_accuracy_gpus resnet18 split_batch",
    "computer vision": """
        BananasDataset VOCSegDataset VOC_CLASSES VOC_COLORMAP assign_anchor_to_bbox bbox_to_rect
        box_center_to_corner box_corner_to_center box_iou copyfile load_data_bananas load_data_voc
        multibox_detection multibox_prior multibox_target nms offset_boxes offset_inverse
        read_csv_labels read_data_bananas read_voc_images reorg_test reorg_train_valid show_bboxes
        train_batch_ch13 train_ch13 voc_colormap2label voc_label_indices voc_rand_crop""",
    "natural language processing: pretraining": """
        BERTEncoder BERTModel MaskLM NextSentencePred RandomGenerator TokenEmbedding batchify
        generator get_centers_and_contexts get_negatives get_tokens_and_segments load_data_ptb
        load_data_wiki read_ptb subsample""",
    "natural language processing: applications": """
        SNLIDataset load_data_imdb load_data_snli predict_sentiment predict_snli read_imdb read_snli
        split_batch_multi_inputs""",
}
CHAPTER_OF = {name: chapter for chapter, names in CHAPTERS.items() for name in names.split()}


def refusing(module: str) -> Callable[[str], Any]:
    """Return a ``__getattr__`` for a module. Python calls it for names that the module does not have.

    >>> refusing("alexnet.torch")("Vocab")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    AttributeError: alexnet.torch has no Vocab: in the book it belongs to the chapter on recurrent ...
    """

    def __getattr__(name: str) -> Any:
        if name in CHAPTER_OF:
            raise AttributeError(
                f"{module} has no {name}: in the book it belongs to the chapter on {CHAPTER_OF[name]}; "
                "this module covers the chapters on image classification, "
                "from softmax regression to DenseNet"
            )
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return __getattr__
