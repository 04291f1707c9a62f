// When the runtime may begin anew, to give back memory that it keeps. Its allocator returns to the system nothing that it has once had (tcmalloc without a
// background thread, workerd 1.20261023.1): after 8,000 runs 170 MiB stay, 88 are needed.

/** What can be seen of a process from outside. */
export interface Sight {
  /** Memory of its own, in bytes: nothing that a file backs. */
  ownBytes: number;
  /** Processor time used since its start; any unit. */
  cpuTicks: number;
  /** Are there TCP connections, from clients or to apps? Looked up when it matters. */
  connected(): boolean;
}

export const LOOK_EVERY_MS = 2_000;
/** So often in a row nothing may have happened. */
const QUIET_LOOKS = 3;
/** Grown less than this is not worth a start. */
const WORTH_BYTES = 12 * 1_048_576;
/** Looks between two starts, at least. */
const LOOKS_APART = 30;

/** Decides from one look to the next. One for each runtime; `begun` tells that its process is a new one. */
export class AtRest {
  /** What a process that has done nothing needs. */
  #base: number | null = null;
  #ticks = -1;
  #quiet = 0;
  #looks = LOOKS_APART;
  /** What a process needs that began at rest is known when it has come to rest again: it has read what is stored. */
  #settles = false;

  /** True: nothing is under way and a new process would need notably less. */
  look(sight: Sight): boolean {
    this.#looks++;
    this.#base ??= sight.ownBytes;
    this.#quiet = sight.cpuTicks === this.#ticks ? this.#quiet + 1 : 0;
    this.#ticks = sight.cpuTicks;
    if (this.#quiet < QUIET_LOOKS) return false;
    if (this.#settles) {
      this.#settles = false;
      this.#base = Math.max(this.#base, sight.ownBytes);
    }
    if (this.#looks < LOOKS_APART || sight.ownBytes - this.#base < WORTH_BYTES) return false;
    if (sight.connected()) this.#quiet = 0;
    return this.#quiet > 0;
  }

  begun(): void {
    this.#base = null;
    this.#ticks = -1;
    this.#quiet = 0;
    this.#looks = 0;
    this.#settles = true;
  }
}
