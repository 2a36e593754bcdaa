-- What the instances of a project may reach in the network: public, open or none; nothing leaves it to the server.
ALTER TABLE projects ADD COLUMN egress TEXT;
