import type { Command, CommandResult } from '../core/model/command.ts';
import type { Requests } from './requests.ts';
import type { World } from './world.ts';

/** What was acknowledged and must be there after any crash, until it is said otherwise. */
export class Facts {
  readonly #world: World;
  readonly #requests: Requests;
  readonly #facts = new Map<string, () => string | null>();
  /** Changes under way, by the fact that they concern: until they are answered it may be either way. */
  readonly #open = new Map<string, number>();

  constructor(world: World, requests: Requests) {
    this.#world = world;
    this.#requests = requests;
  }

  check(): void {
    for (const [name, holds] of this.#facts) {
      if (this.#open.get(name)) continue;
      const wrong = holds();
      this.#world.checks.that('acknowledged', wrong === null, () => `${name}: ${wrong}`);
    }
  }

  /** Insists on a change; `fact` is what holds once it is acknowledged, null when nothing does. */
  change(
    name: string,
    label: string,
    command: Command,
    fact: (result: CommandResult) => (() => string | null) | null,
  ): void {
    this.#open.set(name, (this.#open.get(name) ?? 0) + 1);
    this.#facts.delete(name);
    this.#requests.insist(label, [command], (answer) => {
      this.#open.set(name, (this.#open.get(name) ?? 1) - 1);
      const result = answer.ok ? answer.results[0] : undefined;
      const holds = result ? fact(result) : null;
      if (holds) this.#facts.set(name, holds);
      else this.#facts.delete(name);
    });
  }
}
