"""Make a plain PyTorch training loop private: a tiny char-GPT learns appointment notes, at epsilon = 8.

    python examples/private_training_loop.py [FOLDER]

The three lines are those with `engine`; `train_epoch` is what it was before. The folder keeps the ledger of what was
spent: a second run into the same folder finds the budget used up and warns instead of training, since two models
together tell more about the notes than one.
"""

import random
import sys
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from auditkit.models.char_tokenizer import CharTokenizer, vocabulary_of
from auditkit.models.char_transformer import CharGPTConfig, CharTransformer
from auditkit.privacy.engine import PrivacyEngine

EPOCHS = 3


def notes(n: int, seed: int) -> list[str]:
    """Fictional notes, such as: ada sees the nurse on monday."""
    pick = random.Random(seed).choice
    names, people, days = ["ada", "ben", "eva", "tom"], ["nurse", "doctor", "dentist"], ["monday", "friday", "sunday"]
    return [f"{pick(names)} sees the {pick(people)} on {pick(days)}." for _ in range(n)]


def as_tensors(texts: list[str], tokenizer: CharTokenizer, width: int) -> TensorDataset:
    """Ids (n, width), and as labels the ids that follow; -100, which the loss ignores, after the end of a text."""
    ids, labels = torch.zeros(len(texts), width, dtype=torch.long), torch.full((len(texts), width), -100)
    for row, text in enumerate(texts):
        encoded = torch.tensor(tokenizer.encode(text)[0])
        ids[row, : len(encoded) - 1], labels[row, : len(encoded) - 1] = encoded[:-1], encoded[1:]
    return TensorDataset(ids, labels)


def train_epoch(model, optimizer, criterion, loader):
    model.train()
    for ids, labels in loader:
        optimizer.zero_grad()
        loss = criterion(model(ids).flatten(0, 1), labels.flatten())
        loss.backward()
        optimizer.step()


def loss_on(model, criterion, data):
    model.eval()
    with torch.no_grad():
        ids, labels = data.tensors
        return criterion(model(ids).flatten(0, 1), labels.flatten()).item()


folder = Path(sys.argv[1] if len(sys.argv) > 1 else "private-training-loop")
torch.manual_seed(0)
texts = notes(2000, seed=0)
tokenizer = CharTokenizer(vocabulary_of("".join(texts)))
config = CharGPTConfig(
    vocabulary=tokenizer.vocabulary, hidden=32, layers=1, heads=2, context=36, causal=True, positions=True, scaled=True,
    pre_norm=True,
)  # fmt: skip
training, held_out = (as_tensors(t, tokenizer, config.context) for t in (texts, notes(200, seed=1)))

model = CharTransformer(config)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
criterion = nn.CrossEntropyLoss()
loader = DataLoader(training, batch_size=50, shuffle=True)

engine = PrivacyEngine(ledger=folder / "ledger.json")
model, optimizer, criterion, loader = engine.make_private_with_epsilon(
    module=model, optimizer=optimizer, criterion=criterion, data_loader=loader,
    target_epsilon=8.0, target_delta=1e-5, epochs=EPOCHS, max_grad_norm=1.0)  # fmt: skip

print(f"untrained: {loss_on(model, criterion, held_out):.2f} nats per character of new notes")
for epoch in range(1, EPOCHS + 1):
    train_epoch(model, optimizer, criterion, loader)
    print(f"epoch {epoch}: {loss_on(model, criterion, held_out):.2f}, epsilon so far {engine.get_epsilon():.2f}")
