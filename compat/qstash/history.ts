import type { HistoryEntry } from '../../core/model/history.ts';
import type { Route } from './route.ts';

/** A run's whole history: the engine answers a page of it at a time. */
export async function wholeHistory(route: Route, run: string): Promise<HistoryEntry[]> {
  const entries: HistoryEntry[] = [];
  for (;;) {
    const page = await route.ask({ type: 'history', run, afterSeq: entries.at(-1)?.seq ?? 0 });
    if (page.length === 0) return entries;
    entries.push(...page);
  }
}
