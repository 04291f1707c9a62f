import type { HistoryBody } from '../model/history.ts';
import type { Payload } from '../model/payload.ts';

/** Stands in an entry where a call's own data is kept beside it. */
const HAS_DATA = '$data';

export function callsOf(body: HistoryBody): Array<{ key: string; data?: Payload }> {
  if (body.kind === 'plan') return body.calls;
  if ((body.kind === 'step' || body.kind === 'wait') && body.then) return [body.then];
  return [];
}

export function withoutData<T extends { data?: Payload }>(call: T): Omit<T, 'data'> {
  if (call.data === undefined) return call;
  const { data: _, ...rest } = call;
  return { ...rest, [HAS_DATA]: 1 } as unknown as Omit<T, 'data'>;
}

export function stripCallData(body: HistoryBody): HistoryBody {
  if (body.kind === 'plan') return { ...body, calls: body.calls.map((call) => withoutData(call) as typeof call) };
  if ((body.kind === 'step' || body.kind === 'wait') && body.then)
    return { ...body, then: withoutData(body.then) as typeof body.then };
  return body;
}

/** The entry as it was: `dataOf` reads what is kept beside it. */
export function withCallData(body: HistoryBody, dataOf: (key: string) => Payload | null): HistoryBody {
  const restore = <T extends { key: string }>(call: T): T => {
    if (!(HAS_DATA in call)) return call;
    const { [HAS_DATA]: _, ...rest } = call as T & { [HAS_DATA]: unknown };
    return { ...rest, data: dataOf(call.key) } as unknown as T;
  };
  if (body.kind === 'plan') return { ...body, calls: body.calls.map(restore) };
  if ((body.kind === 'step' || body.kind === 'wait') && body.then) return { ...body, then: restore(body.then) };
  return body;
}
