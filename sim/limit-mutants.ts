import { ADMISSION_MUTANTS } from './admission-mutants.ts';
import { type Mutant, MUTANTS } from './mutants.ts';

/** Bugs planted in limits, rates and pauses. */
const LIMIT_MUTANTS: readonly Mutant[] = [
  {
    name: 'a limit lets one too many through',
    patch: { file: 'flow/limit-book.ts', find: 'max - this.held(counter)', replace: 'max + 1 - this.held(counter)' },
  },
  {
    name: 'a call that ends keeps its limit',
    patch: {
      file: 'engine/places.ts',
      find: 'const freed = this.#k.limits.release(counter, holder, member);',
      replace: "const freed = limit.hold === 'run' && this.#k.limits.release(counter, holder, member);",
    },
  },
  {
    name: 'a run gives up its place in a lane while it waits for a retry',
    patch: {
      file: 'engine/places.ts',
      find: "if (limit.hold === 'call') this.release(limit, holderOf(limit, handle.state.head, key));",
      replace: 'this.release(limit, holderOf(limit, handle.state.head, key));',
    },
  },
  {
    name: 'a call with limits of its own needs no place of its run',
    patch: {
      file: 'engine/limit-order.ts',
      find: '[...whole, ...own]',
      replace: 'own',
    },
  },
  {
    name: 'what a call names is asked for before what its run holds',
    patch: {
      file: 'engine/limit-order.ts',
      find: '[...whole, ...own]',
      replace: '[...own, ...whole]',
    },
  },
  {
    name: 'a place that a run has for one call is kept after it',
    patch: {
      file: 'engine/rows.ts',
      find: 'if (pending.call?.limits) this.#k.places.leave(handle, pending.call.limits);',
      replace: '',
    },
  },
  {
    name: 'a restart gives rates a second burst',
    patch: {
      file: 'flow/rate-book.ts',
      find: 'state: row ? (JSON.parse(row.state) as RateState) : null,',
      replace: 'state: null,',
    },
  },
  {
    name: 'a restart loses the places of runs',
    patch: {
      file: 'engine/places.ts',
      find: 'for (const limit of [...ofRun, ...ofCall,',
      replace: 'for (const limit of [...ofCall,',
    },
  },
  {
    name: 'calls that are pushed do not count for a rate',
    patch: { file: 'engine/lease.ts', find: 'k.places.takeRates(handle, key);', replace: '' },
  },
  {
    name: 'a paused task is called',
    patch: {
      file: 'engine/places.ts',
      find: 'if (pause.inForce || this.#isOlderIn',
      replace: 'if (this.#isOlderIn',
    },
  },
];

/** All bugs that the simulation has to find. */
export const PLANTED: readonly Mutant[] = [...MUTANTS, ...LIMIT_MUTANTS, ...ADMISSION_MUTANTS];
