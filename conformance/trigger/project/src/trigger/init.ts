import { locals, metadata, tasks } from '@trigger.dev/sdk';

// Loaded before any task's file: hooks and middleware of all tasks (the vendor's name for such a file). One task here says that it saw them.

export const BY_EVERYBODY = locals.create<string>('by-everybody');

tasks.middleware('everywhere', async ({ next, task }) => {
  if (task === 'says-all-hooks') {
    locals.set(BY_EVERYBODY, 'from the outermost middleware');
    metadata.append('hooks', 'middleware in');
  }
  await next();
  if (task === 'says-all-hooks') metadata.append('hooks', 'middleware out');
});
tasks.onStartAttempt('everywhere', ({ task, ctx }) => {
  if (task === 'says-all-hooks') metadata.append('hooks', `any start ${ctx.attempt.number}`);
});
tasks.onWait('everywhere', ({ task, wait }) => {
  if (task === 'says-all-hooks') metadata.append('hooks', `any wait ${wait.type}`);
});
tasks.onResume('everywhere', ({ task, wait }) => {
  if (task === 'says-all-hooks') metadata.append('hooks', `any resume ${wait.type}`);
});
tasks.onSuccess('everywhere', ({ task }) => {
  if (task === 'says-all-hooks') metadata.append('hooks', 'any success');
});
tasks.onComplete('everywhere', ({ task, result }) => {
  if (task === 'says-all-hooks') metadata.append('hooks', `any complete ${result.ok}`);
});
tasks.onFailure('everywhere', ({ task }) => {
  if (task === 'wraps-errors') metadata.append('hooks', 'any failure');
});
tasks.catchError('everywhere', ({ task, error }) => {
  if (task !== 'wraps-errors') return undefined;
  metadata.append('hooks', `any catch ${(error as Error).message}`);
  return { retryDelayInMs: 150 };
});
