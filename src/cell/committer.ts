import type { Applied } from '../../core/index.ts';
import type { Command, CommandResult } from '../../core/model/command.ts';

interface Waiting {
  commands: Command[];
  resolve(results: CommandResult[]): void;
  reject(error: unknown): void;
}

/**
 * Group commit. Idle: a request is committed at once. While a commit is on its way to disk, what arrives is collected and then committed
 * together: a cell is bounded by commits, not by rows (docs/design/design.md, "A transition").
 */
export class Committer {
  #applyGroup: (requests: Command[][]) => Applied[];
  #sync: () => Promise<void>;
  #waiting: Waiting[] = [];
  #busy = false;

  constructor(applyGroup: (requests: Command[][]) => Applied[], sync: () => Promise<void>) {
    this.#applyGroup = applyGroup;
    this.#sync = sync;
  }

  get busy(): boolean {
    return this.#busy || this.#waiting.length > 0;
  }

  submit(commands: Command[]): Promise<CommandResult[]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ commands, resolve, reject });
      if (!this.#busy) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#busy = true;
    try {
      while (this.#waiting.length > 0) {
        const group = this.#waiting;
        this.#waiting = [];
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
