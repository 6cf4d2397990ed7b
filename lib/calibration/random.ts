// SplitMix64: a whole state in one 64-bit counter, so a seed given as a small number is as good as any. Used for
// drawing samples and labels; the sequence of a seed never changes between versions, platforms or runs.
// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.

export class Random {
  private state: bigint;

  /** @param seed a whole number >= 0 */
  constructor(seed: number) {
    this.state = BigInt(seed);
  }

  /** Uniform in 0 … limit − 1. Multiplying 53 random bits is unbiased to 2^-53·limit, far below what could matter. */
  below(limit: number): number {
    return Math.floor((Number(this.next() >> 11n) / 2 ** 53) * limit);
  }

  private next(): bigint {
    this.state = BigInt.asUintN(64, this.state + 0x9e3779b97f4a7c15n);
    let z = this.state;
    z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    return z ^ (z >> 31n);
  }
}
