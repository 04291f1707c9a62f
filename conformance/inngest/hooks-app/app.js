// A page as a user's: the vendor's hook, all that it gave in `window.seen`. Bundled by the suite.
import { useRealtime } from 'inngest/react';
import { createElement, useEffect } from 'react';
import { createRoot } from 'react-dom/client';

const seen = {};
window.seen = seen;

function Listener({ channel, topics, token }) {
  const realtime = useRealtime({ channel, topics, token });
  const { connectionStatus, error, messages } = realtime;
  useEffect(() => {
    const entry = (seen.realtime ??= { all: [], last: undefined, error: undefined });
    if (error) entry.error = String(error);
    const all = (messages?.all ?? []).map(({ topic, data }) => ({ topic, data }));
    entry.last = { connectionStatus, all };
    entry.all.push(entry.last);
  }, [connectionStatus, error, messages]);
  return null;
}

window.show = (props) => createRoot(document.getElementById('root')).render(createElement(Listener, props));
