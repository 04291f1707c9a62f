import { describe, expect, it } from 'vitest';
import { AtRest, type Sight } from './at-rest.ts';

const MIB = 1_048_576;

/** A process whose looks are told by a few words each. */
class Process {
  readonly atRest = new AtRest();
  #sight: Sight = { ownBytes: 40 * MIB, cpuTicks: 10, connected: () => false };

  works(mib: number): boolean {
    this.#sight = { ownBytes: mib * MIB, cpuTicks: this.#sight.cpuTicks + 5, connected: () => true };
    return this.atRest.look(this.#sight);
  }

  idles(looks: number, change: Partial<Sight> = {}): boolean[] {
    this.#sight = { ...this.#sight, ...change };
    return Array.from({ length: looks }, () => this.atRest.look(this.#sight));
  }
}

describe('a runtime at rest', () => {
  it('begins anew when it has grown and nothing has happened for three looks', () => {
    const process = new Process();
    process.works(40);
    process.works(120);
    expect(process.idles(4, { connected: () => false })).toEqual([false, false, true, true]);
  });

  it('is left alone while a connection is open, whoever opened it', () => {
    const process = new Process();
    process.works(40);
    process.works(120);
    expect(process.idles(20, { connected: () => true })).not.toContain(true);
  });

  it('is left alone while it works, connected or not', () => {
    const process = new Process();
    process.works(40);
    for (let i = 0; i < 20; i++) expect(process.works(120)).toBe(false);
  });

  it('is left alone when it has hardly grown', () => {
    const process = new Process();
    process.works(40);
    process.works(50);
    expect(process.idles(20, { connected: () => false })).not.toContain(true);
  });

  it('begins anew once a minute at most', () => {
    const process = new Process();
    process.works(40);
    process.works(120);
    process.idles(3, { connected: () => false });
    process.atRest.begun();
    process.idles(4, { ownBytes: 40 * MIB });
    process.works(120);
    expect(process.idles(30, { connected: () => false }).indexOf(true)).toBe(24);
  });

  it('does not begin anew for what its data need: a second process that has read them is the measure', () => {
    const process = new Process();
    process.works(40);
    process.works(120);
    expect(process.idles(3, { connected: () => false }).at(-1)).toBe(true);
    process.atRest.begun();
    process.idles(1, { ownBytes: 40 * MIB });
    process.works(90);
    expect(process.idles(100, { connected: () => false })).not.toContain(true);
    process.works(110);
    expect(process.idles(3, { connected: () => false })).toEqual([false, false, true]);
  });
});
