import sys
from pathlib import Path

SHOP = Path(__file__).parents[2] / "examples" / "shop"
sys.path.append(str(SHOP))
