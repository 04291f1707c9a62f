import { tasks } from '@trigger.dev/sdk';
import { journal } from '../../../journal.ts';

const startedAt = new Map<string, number>();

interface HookContext {
  run: { id: string };
  task: { id: string };
  attempt: { number: number };
}

function note(ctx: HookContext, payload: unknown, phase: 'start' | 'done' | 'failed', message?: string): void {
  const size = (payload as { size?: string }).size;
  const begun = startedAt.get(ctx.run.id);
  if (phase === 'start') startedAt.set(ctx.run.id, performance.now());
  journal({
    vendor: 'trigger',
    run: ctx.run.id,
    step: size ? `${ctx.task.id}-${size}` : ctx.task.id,
    phase,
    attempt: ctx.attempt.number,
    durationMs: phase === 'start' || begun === undefined ? undefined : performance.now() - begun,
    message,
  });
}

tasks.onStartAttempt(({ ctx, payload }) => note(ctx, payload, 'start'));
tasks.onSuccess(({ ctx, payload }) => note(ctx, payload, 'done'));
tasks.catchError(({ ctx, payload, error }) =>
  note(ctx, payload, 'failed', error instanceof Error ? error.message : String(error)),
);
