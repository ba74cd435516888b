// server.js (Node.js / Express)
const express = require('express');
const app = express();
app.use(express.json());

const BASE_URL = process.env.ONEINBOX_BASE_URL || 'http://127.0.0.1:8080';

app.post('/api/start-call', async (req, res) => {
  try {
    const response = await fetch(`${BASE_URL}/v1/calls/web`, {
      method: 'POST',
      headers: {
        'Authorization': `Bearer ${process.env.ONEINBOX_API_KEY}`,
        'Content-Type': 'application/json'
      },
      body: JSON.stringify({
        agent_id: process.env.ONEINBOX_AGENT_ID,
        variables: {
          customer_name: req.body.customerName || 'Guest'
        }
      })
    });

    if (!response.ok) {
      throw new Error(`OneInbox API error: ${response.status}`);
    }

    const { id: call_id, server_url, participant_token } = await response.json();
    res.json({ call_id, server_url, participant_token });
  } catch (error) {
    console.error('Failed to start call:', error);
    res.status(500).json({ error: 'Failed to start call' });
  }
});

const server = app.listen(process.env.PORT || 3000, () => {
  console.log(`The broker listens on http://127.0.0.1:${server.address().port}`);
});
