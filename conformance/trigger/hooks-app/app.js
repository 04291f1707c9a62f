// A page as a user's: the hooks of the vendor, one component each, all that they gave in `window.seen`. Bundled by the suite.
import {
  TriggerAuthContext,
  useInputStreamSend,
  useRealtimeBatch,
  useRealtimeRun,
  useRealtimeRunsWithTag,
  useRealtimeRunWithStreams,
  useRealtimeStream,
  useRun,
  useTaskTrigger,
  useWaitToken,
} from '@trigger.dev/react-hooks';
import { createElement, useEffect, useRef } from 'react';
import { createRoot } from 'react-dom/client';

const seen = {};
window.seen = seen;

/** Every value that a hook gave, with the last of it. */
function note(name, value) {
  const entry = (seen[name] ??= { all: [], last: undefined, error: undefined });
  if (value.error) entry.error = String(value.error);
  entry.last = value;
  entry.all.push(value);
}

function pick(run) {
  if (!run) return undefined;
  const { id, status, metadata, output, tags, payload } = run;
  return { id, status, metadata, output, tags, payload, isFinished: run.finishedAt instanceof Date };
}

const components = {
  run({ runId, name = 'run', skipColumns }) {
    const { run, error } = useRealtimeRun(runId, { skipColumns });
    useEffect(() => note(name, { run: pick(run), error }), [name, run, error]);
  },
  tag({ tag }) {
    const { runs, error } = useRealtimeRunsWithTag(tag);
    useEffect(() => note('tag', { runs: runs.map(pick), error }), [runs, error]);
  },
  batch({ batchId }) {
    const { runs, error } = useRealtimeBatch(batchId);
    useEffect(() => note('batch', { runs: runs.map(pick), error }), [runs, error]);
  },
  streams({ runId }) {
    const { run, streams, error } = useRealtimeRunWithStreams(runId);
    useEffect(() => note('streams', { run: pick(run), streams, error }), [run, streams, error]);
  },
  stream({ runId, stream }) {
    const { parts, error } = useRealtimeStream(runId, stream, { timeoutInSeconds: 30 });
    useEffect(() => note('stream', { parts, error }), [parts, error]);
  },
  retrieved({ runId }) {
    const { run, error } = useRun(runId, { refreshInterval: 200 });
    useEffect(() => note('retrieved', { run: pick(run), error }), [run, error]);
  },
  trigger({ task, payload }) {
    const { submit, handle, error } = useTaskTrigger(task);
    const submitted = useRef(false);
    useEffect(() => {
      if (submitted.current) return;
      submitted.current = true;
      submit(payload);
    }, [submit, payload]);
    useEffect(() => note('trigger', { handle, error }), [handle, error]);
  },
  token({ tokenId, data }) {
    const { complete, isReady, isCompleted, error } = useWaitToken(tokenId);
    const completed = useRef(false);
    useEffect(() => {
      if (completed.current || !isReady) return;
      completed.current = true;
      complete(data);
    }, [complete, isReady, data]);
    useEffect(() => note('token', { isCompleted, error }), [isCompleted, error]);
  },
  input({ runId, stream, data }) {
    const { send, isReady, error } = useInputStreamSend(stream, runId);
    const sent = useRef(false);
    useEffect(() => {
      if (sent.current || !isReady) return;
      sent.current = true;
      send(data);
    }, [send, isReady, data]);
    useEffect(() => note('input', { isReady, error }), [isReady, error]);
  },
};

/** `{ baseURL, show: [{ hook, accessToken, ...props }] }` */
window.show = ({ baseURL, show }) => {
  const children = show.map(({ hook, accessToken, ...props }, key) =>
    createElement(
      TriggerAuthContext.Provider,
      { key, value: { accessToken, baseURL } },
      createElement(Component, { hook, ...props }),
    ),
  );
  createRoot(document.getElementById('root')).render(children);
};

function Component({ hook, ...props }) {
  components[hook](props);
  return null;
}
