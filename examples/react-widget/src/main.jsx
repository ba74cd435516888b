import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import VoiceWidget from './VoiceWidget.jsx';

createRoot(document.getElementById('root')).render(
  <StrictMode>
    <VoiceWidget customerName="Ada" />
  </StrictMode>
);
