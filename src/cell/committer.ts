import type { Applied } from '../../core/index.ts';
import type { Command, CommandResult } from '../../core/model/command.ts';

/** Requests of one commit from which on the next commits wait for company. One caller at a time never makes a group of this size. */
const CROWD = 3;
/** How much of a crowd is remembered from one commit to the next. */
const CROWD_DECAY = 0.7;
/**
 * The runtime writes to disk on the thread that takes requests, so what arrives during a commit is seen one request at a time after it, and the
 * first of them would be committed alone. Measured with 50 runs at once: 1,600 commits for 1,000 runs without this pause, 300 with it; one of 2 ms makes
 * hardly fewer, and 2 % fewer runs a second.
 */
const GATHER_MS = 1;
/** How long what nobody waits for is kept for company. A process that is lost meanwhile makes its call again, as one that is lost a moment earlier does. */
const PATIENCE_MS = 5;

interface Waiting {
  commands: Command[];
  resolve(results: CommandResult[]): void;
  reject(error: unknown): void;
}

/**
 * Group commit. Idle: a request is committed at once, but one that nobody waits for. While a commit is on its way to disk, what arrives is collected and then committed
 * together; under load each commit also waits a moment for what has arrived already. A cell is bounded by commits, not by rows
 * (docs/design/design.md, "A transition").
 */
export class Committer {
  #applyGroup: (requests: Command[][]) => Applied[];
  #sync: () => Promise<void>;
  #pause: (ms: number) => Promise<void>;
  #waiting: Waiting[] = [];
  #busy = false;
  /** Requests of the largest recent commit, fading. */
  #crowd = 0;

  constructor(
    applyGroup: (requests: Command[][]) => Applied[],
    sync: () => Promise<void>,
    pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms)),
  ) {
    this.#applyGroup = applyGroup;
    this.#sync = sync;
    this.#pause = pause;
  }

  get busy(): boolean {
    return this.#busy || this.#waiting.length > 0;
  }

  /** `patient`: in the next commit that somebody waits for, or in one of its own a moment later. */
  submit(commands: Command[], patient = false): Promise<CommandResult[]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ commands, resolve, reject });
      if (this.#busy) return;
      if (patient) void this.#pause(PATIENCE_MS).then(() => (this.#busy ? undefined : this.#run()));
      else void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#busy = true;
    try {
      while (this.#waiting.length > 0) {
        if (this.#crowd >= CROWD) await this.#pause(GATHER_MS);
        const group = this.#waiting;
        this.#waiting = [];
        this.#crowd = Math.max(group.length, this.#crowd * CROWD_DECAY);
        const applied = this.#applyGroup(group.map((one) => one.commands));
        for (const [i, result] of applied.entries()) {
          const one = group[i] as Waiting;
          if (result.ok) one.resolve(result.results);
          else one.reject(result.error);
        }
        await this.#sync();
      }
    } finally {
      this.#busy = false;
    }
  }
}
