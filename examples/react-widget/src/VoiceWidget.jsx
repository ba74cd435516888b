import { useState, useRef } from 'react';
import { OneinboxCall } from '@oneinbox/web-sdk';

export default function VoiceWidget({ customerName }) {
  const [status, setStatus] = useState('idle');
  const callRef = useRef(null);

  async function startCall() {
    setStatus('connecting');
    try {
      const res = await fetch('/api/start-call', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ customerName })
      });
      const { server_url, participant_token } = await res.json();

      const call = new OneinboxCall({
        serverUrl: server_url,
        token: participant_token,
        onStateChange: (state) => setStatus(state),
        onEnded: () => {
          setStatus('ended');
          callRef.current = null;
        }
      });

      await call.connect();
      callRef.current = call;
      setStatus('active');
    } catch (error) {
      console.error('Call failed:', error);
      setStatus('idle');
    }
  }

  async function endCall() {
    await callRef.current?.disconnect();
    setStatus('ended');
  }

  if (status === 'idle') {
    return <button onClick={startCall}>Talk to AI</button>;
  }
  if (status === 'connecting') return <p>Connecting...</p>;
  if (status === 'active') {
    return (
      <div>
        <span>Connected</span>
        <button onClick={endCall}>End call</button>
      </div>
    );
  }
  return <p>Call ended.</p>;
}
