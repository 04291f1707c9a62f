import type { SourcePatch } from './core-variant.ts';

/** A bug planted in a copy of the engine, which the simulation has to find. */
export interface Mutant {
  name: string;
  patch: SourcePatch;
  /** A world that meets it, for what is rare: it is tried first. */
  seed?: number;
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'a stale report counts',
    patch: {
      file: 'engine/report.ts',
      find: 'if (!reporter && !command.anyLease) {',
      replace: 'if (!reporter && !command.anyLease && !command.final) {',
    },
  },
  {
    name: 'a step is memoised twice',
    patch: {
      file: 'engine/report.ts',
      find: /if \((?:op\.key === MAIN \|\| )?state\.stepKeys\.has\(op\.key\)\) \{/,
      replace: 'if (op.key === MAIN) {',
    },
  },
  {
    name: 'waiting for a run that has ended already waits for ever',
    patch: {
      file: 'engine/report.ts',
      find: "if (child?.status === 'running') return;",
      replace: 'if (child) return;',
    },
  },
  {
    name: 'a group asks for the main call before its last',
    patch: {
      file: 'history/fold.ts',
      find: "again === 'each' || (again === 'last' && !hasLastGroup(state))",
      replace: "again === 'each' || again === 'last'",
    },
  },
  {
    name: 'timers due at the very moment of a look are passed over',
    patch: {
      file: 'engine/wake.ts',
      find: "WHERE bucket = '' AND due > ? AND due <= ? ORDER BY due LIMIT ?",
      replace: "WHERE bucket = '' AND due > ? AND due < ? ORDER BY due LIMIT ?",
    },
  },
  {
    name: 'a lease that ran out is not given to anyone else',
    patch: { file: 'engine/wake.ts', find: 'k.rows.recheck(handle, lease.key);', replace: '' },
  },
  {
    name: 'a restart does not look at what is due',
    patch: { file: 'engine/engine.ts', find: 'while (wake(this.kernel));', replace: '' },
  },
  {
    name: 'a transaction that failed takes leases away',
    patch: {
      file: 'engine/kernel.ts',
      find: 'this.onUndo(() => this.leases.add(lease));',
      replace: '',
    },
  },
  {
    name: 'a failed run leaves no letter where it never had a step',
    patch: {
      file: 'engine/end.ts',
      find: 'if (effects.deadLetter)',
      replace: 'if (effects.deadLetter && state.steps.length > 0)',
    },
  },
  {
    name: 'labels outlive their run',
    patch: {
      file: 'store/run-store.ts',
      find: 'for (const label of head.labels) this.#sql.run(`DELETE FROM labels',
      replace: 'for (const label of [] as string[]) this.#sql.run(`DELETE FROM labels',
    },
  },
];

/** Seeds tried for a mutant, and the transitions of each. All that are needed are a few; more would say that the simulation is blunt. */
export const MUTANT_SEEDS = 60;
export const MUTANT_TRANSITIONS = 2_500;
